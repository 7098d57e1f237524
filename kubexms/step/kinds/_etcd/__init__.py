"""What `etcdMember` is made of: the questions, the scripts, and who is asked."""

"""What kubeadm's kinds share: what a host tells of its membership, and how it joins and leaves."""

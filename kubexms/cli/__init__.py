"""The command line: thin commands over services and views. What is heavy is imported where it is used."""

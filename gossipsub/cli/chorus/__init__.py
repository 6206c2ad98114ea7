"""`gossipsub chorus …`: fleets of agents from the command line, one module for each command."""

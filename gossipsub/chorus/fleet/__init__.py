"""An example that does real work: a fleet of agents indexes the files of a folder."""

"""The demo: agents in processes of their own find each other and work through tasks."""

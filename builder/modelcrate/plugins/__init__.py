"""Plug-ins for orchestrators of machine learning: a file each, which imports the orchestrator's package when that asks for the plug-in."""

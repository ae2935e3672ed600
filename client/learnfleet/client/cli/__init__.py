"""The command `learnfleet`, one file a verb."""

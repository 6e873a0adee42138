"""What a home has not automated yet: ranked, explained, and written as automations."""

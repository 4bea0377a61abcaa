"""What kind of machine this is, for one that does not say or says it wrongly."""

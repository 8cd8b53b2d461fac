"""What `aindnet adapt` reads, checks and reports."""

"""What several recipes need."""

"""What can be done to networks (`fullnet.job.Procedure`), one a file."""

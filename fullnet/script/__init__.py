"""A task from what a training script has: its model, its data, its loss and its optimizer."""

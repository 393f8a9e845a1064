"""Generation of text: what is asked for, drawing tokens, and stop texts."""

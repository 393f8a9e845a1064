"""Steps of training and evaluation: their input, loss, optimizer, and the compiled loops."""

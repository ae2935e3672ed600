"""What can be measured of predictions, apart from any learner: plain tensors in, frozen values out."""

"""What somebody else made: checkpoints, files, images and names, used without trusting them."""

"""What the heads of a checkpoint see in the catalogue as a whole."""

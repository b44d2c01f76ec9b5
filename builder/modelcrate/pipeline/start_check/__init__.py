"""Would the image start? What its code does at its start, held to what the image has. Nothing is run."""

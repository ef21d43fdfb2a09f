"""The rights desk: what a person may ask, by when it is answered, how they are found without a face, and what they get."""

"""Language: encoders that read headlines and documents."""

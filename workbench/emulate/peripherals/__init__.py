"""What a program finds around its core besides memory: a file each."""

"""Carrying out what a person, an operator or a regulator asks: scope, erasure, certificate."""

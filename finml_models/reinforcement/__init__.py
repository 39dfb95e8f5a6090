"""Reinforcement: policies that learn decisions in a market environment."""

"""The papers' numbers, by their exact definitions, for any tool's output."""

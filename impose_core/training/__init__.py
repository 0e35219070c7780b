"""Training the networks: the pose network, its repair after clicks, and the ID decoder.

``runs.train`` is the door; ``docs/training.md`` says how to use it. Nothing but the command
imports this package. All chance of a step follows from (seed, step, machine), so a run that is
resumed goes on as if it had never stopped.
"""

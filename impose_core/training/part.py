"""What the loop asks of whatever is trained."""

from __future__ import annotations

from torch import nn


class Part(nn.Module):
    """A network with its losses: ``forward(batch, step)`` gives the loss and its terms by name.

    One module, since the gradients of all machines meet in its ``forward``. ``uses_all`` says
    that every weight that is trained has a gradient after every step.
    """

    uses_all = True

"""Networks as torch modules, for training and for parity; the runtime needs none of them.

Only this package may import torch, which the extra ``impose[torch]`` installs.
"""

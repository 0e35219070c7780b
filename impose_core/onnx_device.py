"""On what onnxruntime computes: a processor, or a GPU if its package can drive one."""

from __future__ import annotations

from typing import Final

from impose_core.errors import DeviceError

DEVICES: Final = ("cpu", "cuda")
_PROVIDER: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def providers(device: str) -> list[str]:
    """What to give an ``InferenceSession`` so that it computes on ``device``.

    Args:
        device: one of ``DEVICES``. A GPU that is asked for is never replaced in silence.

    Raises:
        DeviceError: if there is no such device, or the installed onnxruntime cannot use it.
    """
    import onnxruntime  # here, so that nothing else waits for it

    if device not in DEVICES:
        raise DeviceError(f"Expected 'device' to be {' or '.join(DEVICES)}, got {device!r}.")
    available = onnxruntime.get_available_providers()
    if _PROVIDER[device] not in available:
        raise DeviceError(
            f"Expected an onnxruntime that computes on a GPU, got {', '.join(available)}.",
            hint="onnxruntime-gpu has the same files as onnxruntime, so only one may be installed: "
            "pip uninstall onnxruntime; pip install --force-reinstall --no-deps onnxruntime-gpu",
        )
    return [_PROVIDER[device]]


def check_device(session_providers: list[str], device: str) -> None:
    """Make sure that a session that was made for ``device`` computes there.

    onnxruntime falls back to the processor, with a warning at most, if a GPU's libraries are
    missing.

    Raises:
        DeviceError: if it did.
    """
    if _PROVIDER[device] not in session_providers:
        raise DeviceError(
            f"Expected a session on {device}, got one on {', '.join(session_providers)}.",
            hint="The GPU's driver, CUDA or cuDNN is missing, or is of another version than "
            "onnxruntime-gpu wants.",
        )

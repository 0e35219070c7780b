"""Every threshold, with its unit and where it comes from.

Lengths that should grow with the person are in *body sizes*: half the diagonal of the
extent of the joints marked on a frame (``geometry.body_size``). Figures marked *measured*
were chosen on clips named in ``docs/design.md`` and reported on others.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """Following a joint from one frame to the next."""

    step_deviation: float = 0.3
    """Pixels, one sigma: a step that passed its round trip without error."""
    lost_error: float = 0.06
    """Body sizes: a round trip that misses its start by more has lost the joint (measured)."""
    lost_deviation: float = 0.03
    """Body sizes, one sigma per step: the motion of a joint that is lost."""
    far_from_body: float = 0.3
    """Body sizes: beyond the outermost anchor, a joint that leaves its person's common motion
    by more in one step is lost too."""
    scale_per_step: tuple[float, float] = (0.7, 1.4)
    """A person's image does not shrink or grow by more from one frame to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlipConfig:
    """Where tracks slip, and how long a joint may be seen by neither (all measured).

    Costs are in nats: what a hypothesis has to explain better than a simpler one.
    """

    nu: float = 30.0
    """Degrees of freedom of the Student-t that judges where the two tracks meet."""
    free_deviation: float = 0.04
    """Body sizes, one sigma per step: how a joint moves that neither track sees."""
    free_cost: float = 0.6
    """Per step that neither track sees."""
    gap_cost: float = 2.0
    """For there being such steps at all."""
    hidden_cost: float = 2.0
    """For a track that started on an occluded joint and still followed it."""
    longest_free: int = 60
    """Steps; bounds the work on long spans."""
    least: float = 1e-2
    """Least trust in a direction: wherever it looks, it still sees its body move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateConfig:
    """From evidence to one trajectory per joint (DESIGN section 3)."""

    step_floor: float = 0.002
    """Body sizes, one sigma per step: what no round trip shows, such as slow slipping."""
    click_deviation: float = 0.025
    """Body sizes, one sigma: how exactly a person hits a joint. Spread over the whole span,
    so that short spans trust the tracks' jitter less (measured)."""
    straight_variance: float = 4.0
    """The weak term towards straight motion has this multiple of the mean squared deviation
    from it of the joint's own measured steps as its variance (measured)."""
    reading_nu: float = 3.0
    """Degrees of freedom of the Student-t of a reader's readings."""
    reading_rounds: int = 5
    """Rounds of reweighting when there are readings."""
    bridged_scale: float = 1.1
    """Calibration: reported deviation over the posterior's, between two anchors."""
    open_scale: float = 1.0
    """Calibration: the same beyond the outermost anchor."""
    slips: SlipConfig = field(default_factory=SlipConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalConfig:
    """Tracks of the same joint of two persons that come together (measured)."""

    near: float = 0.15
    """Body sizes: closer than this, two tracks may be on the same pixels."""
    margin: float = 0.1
    """Of normalised correlation: who resembles his anchor less by so much has lost."""
    samples: int = 8
    """Along each side of the patches that are compared."""
    spacing: float = 2.0
    """Pixels between samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilityConfig:
    """Between anchors: what is seen and what is hidden."""

    agreement: float = 0.1
    """Body sizes: a track further from the estimate is not looking at the joint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All thresholds of the core."""

    window_frames: int = 10
    """Frames estimated and yielded at a time (paper V-C)."""
    encoded_frames: int = 64
    """Frames kept ready for the point tracker; bounds memory."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    estimate: EstimateConfig = field(default_factory=EstimateConfig)
    rivals: RivalConfig = field(default_factory=RivalConfig)
    visibility: VisibilityConfig = field(default_factory=VisibilityConfig)

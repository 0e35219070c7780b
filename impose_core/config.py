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
class ReadingConfig:
    """What a pose reader's readings are worth (all measured)."""

    deviation: float = 0.03
    """Body sizes, one sigma, of a reading with score 1; it grows with one over the root of the
    score."""
    least_score: float = 0.2
    """Places with a lower score are no readings."""
    seen_score: float = 0.5
    """A joint that a filter finds read with this score is visible, whatever its track says."""
    near: float = 0.15
    """Body sizes, besides the estimate's own deviation: how a place's score fades away from the
    estimate."""
    claim: float = 0.2
    """Body sizes: a place so near to where somebody's joint is by its track may be that joint."""
    bias_limit: float = 0.15
    """Body sizes: a reading further from a human point is not biased, it is of something else."""
    mistrust: float = 400.0
    """By how much a reading's variance grows where the reader was wrong at the anchor; the
    growth fades towards the other anchor with the fourth power of the way."""
    nu: float = 10.0
    """Degrees of freedom of the readings' Student-t."""
    rounds: int = 5
    """Rounds of reweighting."""
    alike: float = 12.0
    """Calibration: readings that are as sure as one, since they err alike on neighbouring
    frames."""
    drift: float = 10.0
    """Beyond the outermost anchor the variance of steps is so many times what their checks
    say."""
    closing: float = 8.0
    """Degrees of freedom of the belief that tracks deviate by what their checks say; where they
    miss the far anchor by more, their variance grows (only beside readings, which can tell)."""
    contradicted: float = 100.0
    """Degrees of freedom of the same belief against readings all along the way: many, since
    readings of neighbouring frames err alike."""
    wander: float = 1.0
    """How far the bias is from the straight line between two anchors: its variance midway, in
    quarters of the squared difference (per axis) of the biases there."""
    witness: float = 1.0
    """Share of its log-likelihood that a reading counts for, when tracks are judged by it:
    readings of neighbouring frames are alike."""
    witness_deviation: float = 0.06
    """Body sizes, one sigma: how near to a reading a right track passes."""
    witness_floor: float = 0.05
    """Likelihood of a reading under a track it is far from."""
    witness_free: float = 0.3
    """Likelihood of a reading where neither track sees the joint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateConfig:
    """From evidence to one trajectory per joint (DESIGN section 3)."""

    step_floor: float = 0.002
    """Body sizes, one sigma per step: what no round trip shows, such as slow slipping."""
    click_deviation: float = 0.025
    """Body sizes, one sigma: how exactly a person hits a joint. Spread over the whole span,
    so that short spans trust the tracks' jitter less (measured)."""
    seed_deviation: float = 0.04
    """Body sizes, one sigma: how exactly a seed, which no human placed, says where a joint is."""
    straight_variance: float = 4.0
    """The weak term towards straight motion has this multiple of the mean squared deviation
    from it of the joint's own measured steps as its variance (measured)."""
    bridged_scale: float = 1.1
    """Calibration: reported deviation over the posterior's, between two anchors."""
    open_scale: float = 1.0
    """Calibration: the same beyond the outermost anchor."""
    slips: SlipConfig = field(default_factory=SlipConfig)
    readings: ReadingConfig = field(default_factory=ReadingConfig)


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
    kept_readings: int = 400_000
    """Views whose readings are kept; bounds the disk they are spilled to (about 1 KB each)."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    estimate: EstimateConfig = field(default_factory=EstimateConfig)
    rivals: RivalConfig = field(default_factory=RivalConfig)
    visibility: VisibilityConfig = field(default_factory=VisibilityConfig)

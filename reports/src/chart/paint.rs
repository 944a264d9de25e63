//! Names what every mark means; the stylesheet gives each meaning its looks.
//!
//! Each paint is a CSS class and, as a fallback, plain SVG attributes: CI servers show reports
//! under policies that drop every stylesheet, and black boxes would hide the charts there. CSS
//! rules win over the attributes wherever they are allowed.

/// What a mark means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkStyle {
    /// A helper line.
    Grid,
    /// An axis.
    Axis,
    /// Where one phase of the run gives way to the next.
    PhaseEdge,
    /// The time during which a fault was in force.
    Shade,
    /// A fault as a bar.
    Fault,
    /// A fault that had no effect, or that failed, as a bar.
    DudFault,
    /// Operations with an answer.
    Ok,
    /// Operations certainly without effect.
    Fail,
    /// Operations with an unknown outcome.
    Info,
    /// How densely `ok` operations lie, from 0 (sparse) to 4.
    Density(u8),
    /// Where operations with an unknown outcome lie.
    InfoDensity,
    /// The median.
    P50,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The slowest.
    Max,
    /// A node that says it leads.
    Leader,
    /// A node that follows.
    Follower,
    /// A node that stands for election.
    Candidate,
    /// A node without a process.
    Down,
    /// A node that does not answer.
    Silent,
    /// A node in a role that has no shape of its own.
    OtherRole,
    /// A change of the store's state, as a bar.
    Change,
    /// A look at the store's state, as a bar.
    Look,
    /// The operation that cannot be explained, as a bar.
    Culprit,
    /// A slice of the fill of an operation with an unknown outcome.
    Open,
    /// The outline of an operation with an unknown outcome, open to the right.
    OpenEdge,
    /// A look beside the proof.
    Aside,
    /// A change beside the proof.
    AsideChange,
    /// An operation beside the proof that certainly did not happen.
    AsideFail,
    /// An operation beside the proof with an unknown outcome.
    AsideOpen,
    /// What a link carried.
    Carried,
    /// Frames of a link, of which some were held back.
    Held,
    /// Frames of a link, of which some were kept off.
    KeptOff,
    /// A message between nodes that arrived.
    MessageCarried,
    /// One that was held back and arrived.
    MessageHeld,
    /// One that was kept off.
    MessageKeptOff,
    /// The moment of a finding.
    Finding,
    /// A gap in a time axis.
    Gap,
    /// An arrow: the one came back before the other was invoked.
    RealTime,
    /// An arrow: the one read what the other wrote.
    ReadsFrom,
    /// An arrow: the one must come before the other, which overwrote what it saw.
    Overwritten,
    /// An arrow's head.
    ArrowHead,
    /// The disc behind an arrow's number.
    Disc,
}

impl MarkStyle {
    /// The same, of a mark for what a link carried.
    const fn of_link(self) -> &'static str {
        match self {
            Self::Carried => r##"class="carried" fill="#b6c0ca""##,
            Self::Held => r##"class="held" fill="#c4610a" fill-opacity=".7""##,
            Self::KeptOff => r##"class="keptoff" fill="#b3141f" fill-opacity=".7""##,
            Self::MessageCarried => {
                r##"class="mcarried" fill="none" stroke="#6e7781" stroke-opacity=".45""##
            }
            Self::MessageHeld => r##"class="mheld" fill="none" stroke="#c4610a""##,
            Self::MessageKeptOff => r##"class="mkeptoff" fill="none" stroke="#b3141f""##,
            _ => "",
        }
    }

    /// The attributes of an element that means this.
    pub(crate) fn attributes(self) -> &'static str {
        match self {
            Self::Grid => r##"class="grid" stroke="#e4e8ec" fill="none""##,
            Self::Axis => r##"class="axis" stroke="#8c959f" fill="none""##,
            Self::PhaseEdge => {
                r##"class="phase" stroke="#8c959f" stroke-dasharray="2 4" fill="none""##
            }
            Self::Shade => r##"class="shade" fill="#8250df" fill-opacity=".1""##,
            Self::Fault => r##"class="fault" fill="#d8c7f7" stroke="#8250df""##,
            Self::DudFault => {
                r##"class="dud" fill="none" stroke="#8250df" stroke-dasharray="4 3""##
            }
            Self::Ok => r##"class="ok" fill="#2f6fd0""##,
            Self::Fail => r##"class="fail" fill="#6e7781""##,
            Self::Info => r##"class="info" fill="#c4610a""##,
            Self::Density(0) => r##"class="d0" fill="#2f6fd0" fill-opacity=".12""##,
            Self::Density(1) => r##"class="d1" fill="#2f6fd0" fill-opacity=".22""##,
            Self::Density(2) => r##"class="d2" fill="#2f6fd0" fill-opacity=".34""##,
            Self::Density(3) => r##"class="d3" fill="#2f6fd0" fill-opacity=".48""##,
            Self::Density(_) => r##"class="d4" fill="#2f6fd0" fill-opacity=".64""##,
            Self::InfoDensity => r##"class="infod" fill="none" stroke="#c4610a""##,
            Self::P50 => r##"class="q p50" fill="none" stroke="#123a7a" stroke-width="2""##,
            Self::P95 => r##"class="q p95" fill="none" stroke="#123a7a" stroke-dasharray="6 3""##,
            Self::P99 => r##"class="q p99" fill="none" stroke="#123a7a" stroke-dasharray="2 2""##,
            Self::Max => r##"class="max" fill="#123a7a""##,
            Self::Leader => r##"class="leader" fill="#24292f""##,
            Self::Follower => r##"class="follower" fill="#b6c0ca""##,
            Self::Candidate => r##"class="candidate" fill="#fff" stroke="#1f2328""##,
            Self::Down => r##"class="down" stroke="#b3141f" fill="none""##,
            Self::Silent => {
                r##"class="silent" stroke="#6e7781" stroke-dasharray="2 5" fill="none""##
            }
            Self::OtherRole => {
                r##"class="other" fill="none" stroke="#8c959f" stroke-dasharray="2 2""##
            }
            Self::Change => r##"class="change" fill="#2f6fd0" stroke="#2f6fd0""##,
            Self::Look => r##"class="look" fill="#eaf2fd" stroke="#2f6fd0""##,
            Self::Culprit => r##"class="culprit" fill="#fbe3e4" stroke="#b3141f""##,
            Self::Open => r##"class="open" fill="#c4610a""##,
            Self::OpenEdge => {
                r##"class="edge" fill="none" stroke="#c4610a" stroke-dasharray="4 3""##
            }
            Self::Aside => r##"class="aside" fill="none" stroke="#8c959f""##,
            Self::AsideChange => {
                r##"class="aside ac" fill="#8c959f" fill-opacity=".35" stroke="#8c959f""##
            }
            Self::AsideFail => {
                r##"class="aside af" fill="none" stroke="#8c959f" stroke-dasharray="2 2""##
            }
            Self::AsideOpen => {
                r##"class="aside ao" fill="none" stroke="#c4610a" stroke-dasharray="4 3""##
            }
            Self::Carried | Self::Held | Self::KeptOff => self.of_link(),
            Self::MessageCarried | Self::MessageHeld | Self::MessageKeptOff => self.of_link(),
            Self::Finding => {
                r##"class="found" fill="none" stroke="#b3141f" stroke-dasharray="3 3""##
            }
            Self::Gap => r##"class="gap" fill="none" stroke="#8c959f""##,
            Self::RealTime => r##"class="arrow" fill="none" stroke="#424a53""##,
            Self::ReadsFrom => {
                r##"class="arrow rf" fill="none" stroke="#424a53" stroke-dasharray="2 3""##
            }
            Self::Overwritten => {
                r##"class="arrow ow" fill="none" stroke="#b3141f" stroke-dasharray="7 4""##
            }
            Self::ArrowHead => r##"class="head" fill="none" stroke="#424a53""##,
            Self::Disc => r##"class="disc" fill="#424a53""##,
        }
    }
}

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextStyle {
    /// Text to read.
    Text,
    /// Text that explains other marks.
    Muted,
    /// Text that stands out.
    Strong,
    /// Text on a bar of [`MarkStyle::Leader`].
    OnLeader,
    /// Text on a bar of [`MarkStyle::Change`].
    OnChange,
    /// Text on a bar of [`MarkStyle::Look`] or [`MarkStyle::Open`].
    OnLook,
    /// Text on a bar of [`MarkStyle::Fault`].
    OnFault,
    /// The name of a fault above its shade.
    Fault,
    /// The name of what is wrong.
    Culprit,
    /// A number on a [`MarkStyle::Disc`].
    OnDisc,
    /// The words on an arrow.
    Arrow,
    /// The words on an arrow of [`MarkStyle::Overwritten`].
    Overwritten,
}

impl TextStyle {
    /// The attributes of an element that means this.
    pub(crate) fn attributes(self) -> &'static str {
        match self {
            Self::Text => r##"class="t" fill="#1f2328""##,
            Self::Muted => r##"class="t mu" fill="#59636e""##,
            Self::Strong => r##"class="t st" fill="#1f2328""##,
            Self::OnLeader => r##"class="t ol" fill="#fff""##,
            Self::OnChange => r##"class="t oc" fill="#fff""##,
            Self::OnLook => r##"class="t ok-text" fill="#1f2328""##,
            Self::OnFault => r##"class="t of" fill="#3b1e78""##,
            Self::Fault => r##"class="t ft" fill="#6639ba""##,
            Self::Culprit => r##"class="t ct" fill="#b3141f""##,
            Self::OnDisc => r##"class="t od" fill="#fff""##,
            Self::Arrow => r##"class="t ar" fill="#1f2328""##,
            Self::Overwritten => r##"class="t ar wo" fill="#b3141f""##,
        }
    }
}

//! Describes the faults of clocks: whose are wrong, and how.

use super::{Description, Fault, ONE_TARGET, Parameter, Reach};
use crate::clock::parameters as clock;
use crate::record::Family;

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 3] = [
    Description {
        fault: Fault::ClockStep,
        name: "clock-step",
        family: Family::Clock,
        summary: "set one node's clock ahead or back, later right again",
        reach: Reach::One,
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: clock::BY,
                summary: "how far realtime jumps",
                unit: "a time like -1h, 90s or 250ms, other than 0, of at most 24h",
                default: clock::DEFAULT_STEP,
                accepts: |text| clock::by(text).is_some(),
            },
        ],
    },
    Description {
        fault: Fault::ClockStrobe,
        name: "clock-strobe",
        family: Family::Clock,
        summary: "let one node's clock jump there and back again and again",
        reach: Reach::One,
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: clock::BY,
                summary: "how far realtime jumps",
                unit: "a time like -1h, 90s or 250ms, other than 0, of at most 24h",
                default: clock::DEFAULT_STROBE,
                accepts: |text| clock::by(text).is_some(),
            },
            Parameter {
                name: clock::PERIOD,
                summary: "how long it stays before it jumps",
                unit: "a time from 1ms to 10s",
                default: clock::DEFAULT_PERIOD,
                accepts: |text| clock::period(text).is_some(),
            },
        ],
    },
    Description {
        fault: Fault::ClockRate,
        name: "clock-rate",
        family: Family::Clock,
        summary: "let one node's clocks run too fast or too slowly",
        reach: Reach::One,
        shortest_ms: 2_000,
        longest_ms: 4_000,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: clock::RATE,
                summary: "how many times as fast as the truth",
                unit: "a number from 0.5 to 2, other than 1",
                default: clock::DEFAULT_RATE,
                accepts: |text| clock::factor(text).is_some(),
            },
            Parameter {
                name: clock::CLOCKS,
                summary: "which clocks; monotonic ones never go back, not even to heal",
                unit: "both, realtime or monotonic",
                default: clock::DEFAULT_CLOCKS,
                accepts: |text| clock::clocks(text).is_some(),
            },
        ],
    },
];

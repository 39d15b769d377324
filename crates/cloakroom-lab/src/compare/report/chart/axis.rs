//! From values to pixels, and where the marks stand.

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scale {
    /// From 0, or from below it where there are values below.
    Linear,
    /// Whole powers of ten.
    Log,
    /// Seconds, as powers of ten; the marks are times that have names.
    Time,
}

/// An axis that holds all of its values.
pub(in super::super) struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    pixels: (i32, i32),
    step: f64,
}

impl Axis {
    /// For all values, between two pixels; on a logarithmic one, values that are not above 0 stand at its beginning.
    pub(super) fn over(values: impl Iterator<Item = f64>, scale: Scale, pixels: (i32, i32)) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        match scale {
            Scale::Log | Scale::Time => {
                let positive = || values.iter().copied().filter(|value| *value > 0.0);
                let least = positive().min_by(f64::total_cmp).unwrap_or(1.0).log10();
                let most = positive().max_by(f64::total_cmp).unwrap_or(10.0).log10();
                let (from, to) = ((least + 1e-9).floor(), (most - 1e-9).ceil());
                let to = to.max(from + 1.0);
                Self { scale, from, to, pixels, step: ((to - from) / 7.0).ceil() }
            }
            Scale::Linear => {
                let least = values.iter().copied().fold(0.0, f64::min);
                let most = values.iter().copied().fold(0.0, f64::max);
                let width = if most > least { most - least } else { 1.0 };
                let step = round_step(width / 5.0);
                Self {
                    scale,
                    from: (least / step).floor() * step,
                    to: (most.max(step) / step).ceil() * step,
                    pixels,
                    step,
                }
            }
        }
    }

    /// Where a value stands.
    pub(super) fn at(&self, value: f64) -> i32 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log | Scale::Time => {
                if value > 0.0 {
                    value.log10()
                } else {
                    self.from
                }
            }
        };
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        let (begin, end) = (f64::from(self.pixels.0), f64::from(self.pixels.1));
        (begin + share * (end - begin)).round() as i32
    }

    /// Its first pixel.
    pub(super) fn begin(&self) -> i32 {
        self.pixels.0
    }

    /// Where bars begin.
    pub(super) fn base(&self) -> i32 {
        self.at(0.0)
    }

    /// Values of the marks, ascending.
    pub(super) fn marks(&self) -> Vec<f64> {
        let steps = (0_u32..).map(|n| self.from + f64::from(n) * self.step);
        let steps = steps.take_while(|at| *at <= self.to + self.step * 1e-6);
        match self.scale {
            Scale::Linear => steps.collect(),
            Scale::Log => steps.map(|power| 10_f64.powf(power)).collect(),
            Scale::Time => {
                let within = |marks: &[f64]| -> Vec<f64> {
                    let holds = |mark: &f64| (self.from - 1e-9..=self.to + 1e-9).contains(&mark.log10());
                    marks.iter().copied().filter(holds).collect()
                };
                let fine = within(&TIMES);
                if fine.len() <= MOST_MARKS { fine } else { within(&FEW_TIMES) }
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, not below.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * 0.999).unwrap_or(10.0);
    factor * power
}

/// From microseconds to months.
const TIMES: [f64; 14] =
    [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0, 2_592_000.0, 2.592e7];
const FEW_TIMES: [f64; 9] = [1e-6, 1e-4, 0.01, 1.0, 60.0, 3_600.0, 86_400.0, 2_592_000.0, 2.592e7];
const MOST_MARKS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_nothing_and_has_round_marks() {
        let axis = Axis::over([12.3, 47.0].into_iter(), Scale::Linear, (100, 600));
        assert_eq!((axis.at(0.0), axis.at(50.0)), (100, 600));
        assert_eq!(axis.marks(), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        let below = Axis::over([-7.0, 3.0].into_iter(), Scale::Linear, (0, 100));
        assert_eq!(below.marks().first(), Some(&-8.0));
        assert!(below.base() > 0);
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten_and_a_place_for_nothing() {
        let axis = Axis::over([0.0, 0.2, 2_000.0].into_iter(), Scale::Log, (0, 500));
        assert_eq!(axis.marks().len(), 6);
        assert_eq!((axis.at(0.0), axis.at(0.1), axis.at(10_000.0)), (0, 0, 500));
        assert_eq!(axis.at(10.0), 200);
        let wide = Axis::over([0.001, 1e9].into_iter(), Scale::Log, (0, 500));
        assert!(wide.marks().len() <= 8);
    }

    #[test]
    fn an_axis_of_times_has_marks_that_have_names() {
        let short = Axis::over([0.002, 300.0].into_iter(), Scale::Time, (0, 500));
        assert_eq!(short.marks(), [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0]);
        let long = Axis::over([0.000_6, 2_592_000.0].into_iter(), Scale::Time, (0, 500));
        assert_eq!(long.marks(), [1e-4, 0.01, 1.0, 60.0, 3_600.0, 86_400.0, 2_592_000.0]);
    }

    #[test]
    fn an_axis_of_nothing_or_of_one_value_has_a_width() {
        for scale in [Scale::Linear, Scale::Log, Scale::Time] {
            for values in [vec![], vec![0.0], vec![10.0], vec![f64::NAN]] {
                let axis = Axis::over(values.clone().into_iter(), scale, (0, 100));
                assert!(axis.from < axis.to && axis.marks().len() >= 2, "{scale:?} {values:?}");
            }
        }
    }
}

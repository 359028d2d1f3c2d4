//! Chance that comes out the same every time: every number follows from a seed and from what it is
//! for, so that two strategies meet the same luck with the same request. No statistics beyond that.

/// SplitMix64.
#[derive(Debug, Clone, Copy)]
pub struct Dice(u64);

impl Dice {
    /// Dice for one purpose: the same parts give the same numbers.
    pub fn of(parts: &[u64]) -> Self {
        let mut dice = Self(0x9e37_79b9_7f4a_7c15);
        for part in parts {
            dice.0 ^= part.wrapping_mul(0xff51_afd7_ed55_8ccd);
            dice.roll();
        }
        dice
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A lot for `turnpike::route::plan_by`.
    pub fn lot(&mut self) -> u32 {
        u32::try_from(self.roll() >> 32).unwrap_or(0)
    }

    /// 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.lot()) / 4_294_967_296.0
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Of a normal distribution with mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        // Irwin and Hall: twelve uniforms, and no logarithm whose last digit differs by platform.
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Around `middle`, most within a factor of `spread`.
    pub fn around(&mut self, middle: f64, spread: f64) -> f64 {
        middle * spread.powf(self.normal() / 2.0)
    }
}

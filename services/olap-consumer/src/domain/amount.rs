use money::Money;

use super::Unsound;

/// Hundredths of the deployment's currency within `decimal(18,2)`: a sum of many [`Money`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Amount(i64);

impl Amount {
    pub(crate) const ZERO: Self = Self(0);
    const MAX: i64 = 999_999_999_999_999_999;

    pub(crate) fn plus(self, other: Self) -> Result<Self, Unsound> {
        self.0.checked_add(other.0).and_then(Self::from_hundredths).ok_or(Unsound::TooMuch)
    }

    pub(crate) fn minus(self, other: Self) -> Result<Self, Unsound> {
        self.plus(other.negated())
    }

    pub(crate) fn times(self, count: i32) -> Result<Self, Unsound> {
        let product = self.0.checked_mul(count.into());
        product.and_then(Self::from_hundredths).ok_or(Unsound::TooMuch)
    }

    /// Adds a part of a whole that is known to be an amount.
    pub(crate) fn add(&mut self, part: Self) {
        self.0 = self.0.saturating_add(part.0);
    }

    /// Takes a part of the whole away.
    pub(crate) fn take(&mut self, part: Self) {
        self.0 = self.0.saturating_sub(part.0);
    }

    pub(crate) fn negated(self) -> Self {
        Self(-self.0)
    }

    /// What does not fit stays at the end of the range.
    pub(crate) fn saturating_plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).clamp(-Self::MAX, Self::MAX))
    }

    pub(crate) fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub(crate) fn hundredths(self) -> i64 {
        self.0
    }

    pub(crate) fn from_hundredths(hundredths: i64) -> Option<Self> {
        (-Self::MAX..=Self::MAX).contains(&hundredths).then_some(Self(hundredths))
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        // A `Money` has fourteen digits at most.
        Self(i64::try_from(money.hundredths()).unwrap_or(Self::MAX))
    }
}

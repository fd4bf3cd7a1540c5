//! Aspects of an element that readers select: the element itself, or the magnitude or phase of a complex element.

use api::geometry::Element;

/// The part of each element that a reader selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aspect {
    /// The element itself.
    #[default]
    Value,
    /// The absolute value of a complex element, float32.
    Magnitude,
    /// The angle of a complex element in radians, float32.
    Phase,
}

impl Aspect {
    /// Every aspect.
    pub const ALL: [Self; 3] = [Self::Value, Self::Magnitude, Self::Phase];

    /// The name in requests between servers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Magnitude => "abs",
            Self::Phase => "phase",
        }
    }

    /// The aspect with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|aspect| aspect.name() == name)
    }

    /// Whether elements of this type have the aspect.
    pub const fn is_of(self, element: Element) -> bool {
        matches!((self, element), (Self::Value, _) | (_, Element::Complex64))
    }

    /// The element type of the aspect of elements of type `of`.
    pub const fn element(self, of: Element) -> Element {
        match self {
            Self::Value => of,
            Self::Magnitude | Self::Phase => Element::Float32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complex_elements_have_every_aspect_and_real_ones_only_the_value() {
        for aspect in Aspect::ALL {
            assert_eq!(Aspect::parse(aspect.name()), Some(aspect));
            assert!(aspect.is_of(Element::Complex64));
            assert_eq!(aspect.is_of(Element::Float32), aspect == Aspect::Value);
        }
        assert_eq!(Aspect::parse("real"), None);
        assert_eq!(Aspect::Phase.element(Element::Complex64), Element::Float32);
    }
}

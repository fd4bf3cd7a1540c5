//! Kubernetes quantities of memory: `16Gi`, `512M`, `1e9`
//! ([format](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)).

/// Bytes of a quantity; `None` if the text is not a quantity.
pub fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 12] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("m", 1e-3),
    ];
    let text = text.trim();
    // The longest matching unit wins.
    let unit = UNITS.iter().filter(|(unit, _)| text.ends_with(unit)).max_by_key(|(unit, _)| unit.len());
    let (number, scale) = unit.map_or((text, 1.0), |(unit, scale)| (&text[..text.len() - unit.len()], *scale));
    let value = number.trim().parse::<f64>().ok()? * scale;
    (0.0..1e18).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn kubernetes_quantities_are_parsed() {
        assert_eq!(bytes("16Gi"), Some(16 << 30));
        assert_eq!(bytes("512M"), Some(512_000_000));
        assert_eq!(bytes("1e9"), Some(1_000_000_000));
        assert_eq!(bytes("1.5Ki"), Some(1536));
        assert_eq!(bytes("2 GiB"), Some(2 << 30));
        assert_eq!(bytes("much"), None);
        assert_eq!(bytes("-1Gi"), None);
    }
}

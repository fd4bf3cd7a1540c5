use super::*;

fn policy(deny: &[&str], allow: &[&str]) -> EgressPolicy {
    let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    EgressPolicy { deny: rules(deny), allow: rules(allow) }
}

fn is_open(policy: &EgressPolicy, address: &str) -> bool {
    policy.check_address(address.parse().unwrap()).is_ok()
}

#[test]
fn loopback_link_local_and_metadata_addresses_are_closed_in_every_form() {
    let default = EgressPolicy::default();
    for address in [
        "127.0.0.1",
        "127.255.0.9",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "169.254.170.23",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        // Mapped, compatible, translated.
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        // NAT64 with the well-known prefix and with local prefixes of 48, 56, 64 and 96 bits.
        "64:ff9b::169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00:0",
        "64:ff9b:1::169.254.169.254",
        // 6to4, Teredo with its server and its client, ISATAP.
        "2002:a9fe:a9fe::1",
        "2002:7f00:1::",
        "2001:0:a9fe:a9fe::1",
        "2001:0:808:808:0:0:5601:5601",
        "2001:db8::5efe:169.254.169.254",
    ] {
        assert!(!is_open(&default, address), "{address}");
    }
}

#[test]
fn private_and_public_addresses_are_open() {
    let default = EgressPolicy::default();
    for address in [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "8.8.8.8",
        "fd00::1",
        "2001:db8::1",
        "2606:4700::1111",
        "::ffff:10.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:808:808::1",
        "128.0.0.1",
        "169.253.255.255",
        "fec0::1",
    ] {
        assert!(is_open(&default, address), "{address}");
    }
}

#[test]
fn allowed_networks_take_precedence_over_denied_networks() {
    let policy = policy(&["0.0.0.0/0", "::/0"], &["10.1.0.0/16", "169.254.169.254"]);
    assert!(is_open(&policy, "10.1.2.3") && is_open(&policy, "::ffff:10.1.2.3") && is_open(&policy, "169.254.169.254"));
    for address in ["10.2.0.1", "8.8.8.8", "fd00::1", "127.0.0.1", "64:ff9b::10.1.2.3"] {
        assert!(!is_open(&policy, address), "{address}");
    }
}

#[test]
fn names_are_closed_and_opened_as_written() {
    let policy = policy(&["secret.example.org", "*.internal"], &["images.internal"]);
    assert_eq!(policy.check_name("images.internal."), Ok(HostCheck::Open));
    assert_eq!(policy.check_name("example.org"), Ok(HostCheck::ByAddress));
    assert_eq!(policy.check_name("internal"), Ok(HostCheck::ByAddress));
    assert_eq!(policy.check_name("notinternal"), Ok(HostCheck::ByAddress));
    assert_eq!(policy.check_name(".internal"), Ok(HostCheck::ByAddress));
    for name in ["secret.example.org", "SECRET.example.org.", "metadata.google.internal"] {
        assert!(policy.check_name(name).is_err(), "{name}");
    }
}

#[test]
fn the_host_of_a_url_is_an_address_or_a_name() {
    let default = EgressPolicy::default();
    assert!(default.check_host("[::1]").is_err() && default.check_host("127.0.0.1").is_err() && default.check_host("localhost").is_ok());
    let error = default.check_host("[fe80::1]").unwrap_err().to_string();
    assert_eq!(
        error,
        "fe80::1 is not permitted: link-local addresses are closed to jobs on this cluster (value servers.egress of the chart)"
    );
    let error = policy(&["10.0.0.0/8"], &[]).check_host("10.1.1.1").unwrap_err().to_string();
    assert_eq!(error, "10.1.1.1 is not permitted: this cluster closes 10.0.0.0/8 to jobs (value servers.egress.deny of the chart)");
}

#[test]
fn a_rule_is_a_network_or_a_name() {
    let written = |text: &str| text.parse::<Rule>().map(|rule| rule.to_string());
    assert_eq!(written("10.1.2.3/8").unwrap(), "10.0.0.0/8");
    assert_eq!(written(" 192.0.2.7 ").unwrap(), "192.0.2.7/32");
    assert_eq!(written("FD00::1/8").unwrap(), "fd00::/8");
    assert_eq!(written("0.0.0.0/0").unwrap(), "0.0.0.0/0");
    assert_eq!(written("::ffff:10.1.2.3/104").unwrap(), "10.0.0.0/8");
    assert_eq!(written("::ffff:10.1.2.3").unwrap(), "10.1.2.3/32");
    assert_eq!(written("::ffff:10.1.2.3/95").unwrap(), "::fffe:0:0/95");
    assert_eq!(written("*.Example.org").unwrap(), "*.example.org");
    for wrong in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0", "a b", "*", "*.", "x..y", "http://x", "fe80::/129", "*.*.org"] {
        assert!(written(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn closed_networks_do_not_repeat_each_other() {
    let networks = |policy: &EgressPolicy, ipv6| policy.closed_networks(ipv6).iter().map(Network::to_string).collect::<Vec<_>>();
    assert_eq!(
        networks(&EgressPolicy::default(), false),
        ["127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32"]
    );
    assert_eq!(networks(&EgressPolicy::default(), true), ["fe80::/10", "::1/128", "::/128", "fd00:ec2::254/128", "fd20:ce::254/128"]);
    assert_eq!(networks(&policy(&["0.0.0.0/0"], &[]), false), ["0.0.0.0/0"]);
    assert_eq!(networks(&policy(&["100.64.0.0/10", "10.0.0.0/8"], &[]), false).len(), 6);
    assert_eq!(networks(&policy(&["0.0.0.0/0"], &["images.example.org"]), false).len(), 5);
}

#[test]
fn a_network_policy_has_the_networks_of_the_rules_without_the_names() {
    let rules = policy(&["10.0.0.0/8"], &["10.1.0.0/16", "images.example.org", "fd00::/8"]);
    assert_eq!(rules.open_networks().map(|network| network.to_string()).collect::<Vec<_>>(), ["10.1.0.0/16", "fd00::/8"]);
    assert!(rules.denies_networks());
    assert!(!policy(&["*.internal"], &["10.0.0.0/8"]).denies_networks());
}

#[test]
fn a_network_of_mapped_addresses_is_a_network_of_ipv4() {
    let closed = policy(&["::ffff:10.0.0.0/104"], &[]);
    assert!(!is_open(&closed, "10.1.2.3") && !is_open(&closed, "::ffff:10.1.2.3") && is_open(&closed, "11.1.2.3"));
    let open = policy(&["10.0.0.0/8"], &["::ffff:10.1.0.0/112"]);
    assert!(is_open(&open, "10.1.2.3") && !is_open(&open, "10.2.2.3"));
}

#[test]
fn an_address_of_every_nat64_prefix_is_checked_as_its_ipv4_address() {
    // 169.254.169.254 behind prefixes of 48, 56, 64 and 96 bits: https://www.rfc-editor.org/rfc/rfc6052#section-2.2
    let metadata =
        ["64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:12a9:fe:a9fe::", "64:ff9b:1:1234:a9:fea9:fe00:0", "64:ff9b:1:1234:5600::a9fe:a9fe"];
    for address in metadata {
        assert!(!is_open(&EgressPolicy::default(), address), "{address}");
    }
    assert!(is_open(&EgressPolicy::default(), "64:ff9b:2:a9fe:a9:fe00::"), "another prefix");
}

//! Names of the weights in PyTorch.

/// Name of a weight in a module of `torch.nn` layers. The two LSTMs of a layer become one
/// bidirectional `nn.LSTM`, and the ensemble becomes a `ModuleList`. A single network is exported
/// as an ensemble of one, so that the same module reads both.
pub(super) fn in_torch(name: &str) -> String {
    if let Some(statistic) = name.strip_prefix("normalisation.") {
        return statistic.to_string();
    }
    let (member, name) = match name.split_once('.') {
        Some((member, rest)) if member.starts_with("member") => {
            (member.trim_start_matches("member"), rest)
        }
        _ => ("0", name),
    };
    let parts: Vec<&str> = name.split('.').collect();
    let name = match parts[..] {
        [layer, direction @ ("forward" | "backward"), weight] => {
            let layer = layer.trim_start_matches("lstm");
            let weight = weight.trim_end_matches("_l0");
            let direction = match direction {
                "backward" => "_reverse",
                _ => "",
            };
            format!("lstm.{weight}_l{layer}{direction}")
        }
        _ => name.to_string(),
    };
    format!("members.{member}.{name}")
}

/// Name of a weight as an attribute of a TorchScript module, where a name has no dots.
pub(super) fn in_script(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lstms_of_both_directions_become_one() {
        assert_eq!(
            in_torch("member2.lstm1.backward.weight_hh_l0"),
            "members.2.lstm.weight_hh_l1_reverse"
        );
        assert_eq!(
            in_torch("lstm0.forward.bias_ih_l0"),
            "members.0.lstm.bias_ih_l0"
        );
        assert_eq!(in_torch("lstm.weight_ih_l0"), "members.0.lstm.weight_ih_l0");
        assert_eq!(
            in_torch("member0.input_norm.bias"),
            "members.0.input_norm.bias"
        );
        assert_eq!(in_torch("normalisation.mean"), "mean");
    }
}

  def network(self: __torch__.Module, features: Tensor, lengths: Tensor) -> Tensor:
    silence = self.real(lengths, torch.size(features, 1)).logical_not().unsqueeze(-1)
    total = torch.sum(features.masked_fill(silence, 0.), [1])
    mean = total / lengths.to(6).unsqueeze(1)
    weights = [self.lstm_weight_ih_l0, self.lstm_weight_hh_l0, self.lstm_bias_ih_l0, self.lstm_bias_hh_l0]
    outputs, last = self.lstm(mean.unsqueeze(-1), weights)
    dense1 = torch.linear(last, self.dense1_weight, self.dense1_bias).relu()
    dense2 = torch.linear(dense1, self.dense2_weight, self.dense2_bias).relu()
    return torch.log_softmax(torch.linear(dense2, self.output_weight, self.output_bias), -1)

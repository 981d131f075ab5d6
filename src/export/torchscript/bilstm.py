  # The ensemble: the weights of each network, and in it of each layer of its LSTM.
  def network(self: __torch__.Module, features: Tensor, lengths: Tensor) -> Tensor:
    outputs = [MEMBERS]
    return torch.log_softmax(torch.mean(torch.stack(outputs), [0]), -1)

  def member(self: __torch__.Module, features: Tensor, lengths: Tensor, w: List[Tensor], forward: List[List[Tensor]], backward: List[List[Tensor]]) -> Tensor:
    batch, frames, width = torch.size(features)
    silence = self.real(lengths, frames).logical_not().unsqueeze(-1)
    silent = features.masked_fill(silence, 0.)
    missing = (STACK - frames % STACK) % STACK
    steps = (frames + missing) // STACK
    stacked = torch.constant_pad_nd(silent, [0, 0, 0, missing]).reshape([batch, steps, width * STACK])
    lengths = torch.floor_divide(lengths + (STACK - 1), STACK)
    real = self.real(lengths, steps).unsqueeze(-1)

    time = torch.arange(steps, dtype=4, device=lengths.device).unsqueeze(0)
    mirrored = lengths.unsqueeze(1) - 1 - time
    order = torch.where(mirrored >= 0, mirrored, time).unsqueeze(-1)

    x = torch.linear(stacked, w[0], w[1])
    x = torch.layer_norm(x, [torch.size(x, -1)], w[2], w[3]).relu()
    y = x
    for layer in range(torch.len(forward)):
      ahead, last = self.lstm(y, forward[layer])
      mirror = torch.gather(y, 1, order.expand(torch.size(y)))
      back, last = self.lstm(mirror, backward[layer])
      back = torch.gather(back, 1, order.expand(torch.size(back)))
      y = torch.cat([ahead, back], 2)

    scores = torch.linear(y, w[4], w[5]).masked_fill(real.logical_not(), -inf)
    weights = torch.softmax(scores, 1)
    embedded = torch.matmul(weights.transpose(1, 2), y).flatten(1, 2)
    if STATISTICS:
      counted = real.to(6)
      count = torch.sum(counted, [1], True)
      mean = torch.sum(x * counted, [1], True) / count
      variance = torch.sum((x - mean).square() * counted, [1], True) / count
      deviation = torch.sqrt(variance + 1e-05)
      embedded = torch.cat([embedded, torch.cat([mean, deviation], 2).squeeze(1)], 1)
    return torch.log_softmax(torch.linear(embedded, w[6], w[7]), -1)

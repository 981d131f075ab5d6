class Module(Module):
  __parameters__ = [PARAMETERS]
  __buffers__ = []
ATTRIBUTES
  # Features [batch, frames, coefficients] before normalisation, and the number of frames of each clip
  # without padding -> log-probabilities [batch, classes], equal to those of emovox predict.
  def forward(self: __torch__.Module, features: Tensor, lengths: Tensor) -> Tensor:
    lengths = lengths.to(features.device, 4)
    normalised = (features - self.normalisation_mean) / self.normalisation_deviation
    outputs = annotate(List[Tensor], [])
    for warp in range(torch.size(self.tract_matrices, 0)):
      matrix, added = self.tract_matrices[warp], self.tract_additions[warp]
      outputs.append(self.network(torch.matmul(normalised, matrix) + added, lengths))
    logits = torch.mean(torch.stack(outputs), [0])
    return torch.log_softmax(logits / TEMPERATURE, -1)

  def real(self: __torch__.Module, lengths: Tensor, steps: int) -> Tensor:
    time = torch.arange(steps, dtype=4, device=lengths.device)
    return time.unsqueeze(0) < lengths.unsqueeze(1)

  def lstm(self: __torch__.Module, steps: Tensor, weights: List[Tensor]) -> Tuple[Tensor, Tensor]:
    zeros = steps.new_zeros([1, torch.size(steps, 0), torch.size(weights[1], 1)])
    outputs, last, cell = torch.lstm(steps, [zeros, zeros], weights, True, 1, 0., False, False, True)
    return (outputs, last.squeeze(0))


class Module(Module):
  __parameters__ = [PARAMETERS]
  __buffers__ = []
ATTRIBUTES
  # Features [batch, frames, coefficients] as they were computed, and how many frames of each clip are
  # real -> log-probabilities [batch, classes], as emovox predict has them.
  def forward(self: __torch__.Module, features: Tensor, lengths: Tensor) -> Tensor:
    lengths = lengths.to(features.device, 4)
    normalised = (features - self.normalisation_mean) / self.normalisation_deviation
    said = annotate(List[Tensor], [])
    for tract in range(torch.size(self.tract_matrices, 0)):
      matrix, added = self.tract_matrices[tract], self.tract_additions[tract]
      said.append(self.network(torch.matmul(normalised, matrix) + added, lengths))
    logits = torch.mean(torch.stack(said), [0])
    return torch.log_softmax(logits / TEMPERATURE, -1)

  def real(self: __torch__.Module, lengths: Tensor, steps: int) -> Tensor:
    time = torch.arange(steps, dtype=4, device=lengths.device)
    return time.unsqueeze(0) < lengths.unsqueeze(1)

  def lstm(self: __torch__.Module, steps: Tensor, weights: List[Tensor]) -> Tuple[Tensor, Tensor]:
    zeros = steps.new_zeros([1, torch.size(steps, 0), torch.size(weights[1], 1)])
    outputs, last, cell = torch.lstm(steps, [zeros, zeros], weights, True, 1, 0., False, False, True)
    return (outputs, last.squeeze(0))


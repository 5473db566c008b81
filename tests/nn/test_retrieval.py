import torch

from genoglot.nn.retrieval import MemoryAttention


def test_a_query_reads_a_mixture_of_what_it_may_see() -> None:
    torch.manual_seed(0)
    codes = torch.randn(5, 3)
    memory = MemoryAttention(torch.randn(5, 7), codes, heads=2, key_dim=4)
    hidden = torch.ones(1, 5, dtype=torch.bool)
    hidden[0, 3] = False
    read = memory(torch.randn(1, 7), hidden)
    assert read.shape == (1, 4, 3)
    assert torch.allclose(read, codes[3].expand(1, 4, 3), atol=1e-6)  # all attention on one


def test_the_most_similar_description_is_read_most() -> None:
    torch.manual_seed(0)
    features = torch.eye(6)
    memory = MemoryAttention(features, torch.eye(6), heads=3, key_dim=64)
    with torch.no_grad():
        memory.log_temperature.fill_(3.0)
    first_hop = memory(features)[:, :3]
    assert (first_hop.argmax(-1) == torch.arange(6)[:, None]).all()
    assert torch.allclose(first_hop.sum(-1), torch.ones(6, 3), atol=1e-5)

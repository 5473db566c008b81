import torch

from genoglot.nn.retrieval import RetrievalAttention


def test_a_query_reads_a_mixture_of_what_it_may_see() -> None:
    torch.manual_seed(0)
    codes = torch.randn(5, 3)
    retrieval = RetrievalAttention(torch.randn(5, 7), codes, heads=2, key_dim=4)
    mask = torch.tensor([[False, False, False, True, False]])
    read = retrieval(torch.randn(1, 7), mask)
    assert read.shape == (1, 4, 3)
    assert torch.allclose(read, codes[3].expand(1, 4, 3), atol=1e-6)  # all attention on one


def test_the_most_similar_description_is_read_most() -> None:
    torch.manual_seed(0)
    features = torch.eye(6)
    retrieval = RetrievalAttention(features, torch.eye(6), heads=3, key_dim=64)
    with torch.no_grad():
        retrieval.log_temperature.fill_(3.0)
    first_hop = retrieval(features)[:, :3]
    assert (first_hop.argmax(-1) == torch.arange(6)[:, None]).all()
    assert torch.allclose(first_hop.sum(-1), torch.ones(6, 3), atol=1e-5)

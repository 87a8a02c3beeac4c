"""The network that finds and classifies nuclei in H&E: data, network, loss, training, export."""

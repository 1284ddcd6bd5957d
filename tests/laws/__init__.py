"""The laws of delivery, and the journals by which publishers and clients prove or break them.

Publishers write down what they are about to send and what they were answered, clients every
message that reached them and every loss they were told of. ``laws`` judges what was written;
it knows nothing of the server. ``python -m laws FOLDER`` judges journals that were kept.
"""

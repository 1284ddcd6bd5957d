"""What is said on the wire: inbound commands, control messages, published messages, reports."""

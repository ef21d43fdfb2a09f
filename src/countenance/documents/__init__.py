"""Documents made from live data: from configuration, counts and what the operator states; what nobody states is a gap."""

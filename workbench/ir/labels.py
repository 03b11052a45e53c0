"""What labels hold beside the name of a layer or parameter: autodiff and passes write it, the layer is read off it.

update.conv1.weight        UPDATE of a parameter
d.conv1.relu               GRADIENT of a value
conv1.relu.again           a forward node, computed AGAIN in the backward
"""

GRADIENT, KEPT = "d.", "kept."  # of a value or a parameter; KEPT: what its gradient reads, saved by the forward
UPDATE, SUM, CLEAR, SQUARES, CLIP = "update.", "sum.", "clear.", "squares.", "clip."  # of a parameter
OF_PARAMETER = (GRADIENT, KEPT, UPDATE, SUM, CLEAR, SQUARES, CLIP)
AGAIN = ".again"
LOGITS = "logits"  # the real numbers of an int8 network's output
PACKED = ".packed"  # how those of frozen weights end whose elements lie as their kernel takes them
CONSTANT = ".constant"  # how the names of parameters end that no policy updates

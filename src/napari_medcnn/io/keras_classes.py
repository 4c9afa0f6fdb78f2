"""What a ``.keras`` file may name: the allow-list of `prescan`. Tables only."""

from __future__ import annotations

#: Stock layers that compute and do nothing else; what reads files, runs code or calls other frameworks is left out.
LAYERS = frozenset(
    """Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average BatchNormalization
    CategoryEncoding CenterCrop Concatenate Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU
    EinsumDense Embedding Flatten GaussianDropout GaussianNoise GroupNormalization GroupQueryAttention Identity
    InputLayer LayerNormalization LeakyReLU Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
    RMSNormalization RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom
    ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D Softmax SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization Subtract TimeDistributed UnitNormalization""".split()  # noqa: SIM905
) | {
    f"{kind}{n}D{end}"
    for n in (1, 2, 3)
    for kind, end in (
        ("Conv", ""),
        ("Conv", "Transpose"),
        ("ConvLSTM", ""),
        ("MaxPooling", ""),
        ("AveragePooling", ""),
        ("AdaptiveAveragePooling", ""),
        ("AdaptiveMaxPooling", ""),
        ("GlobalAveragePooling", ""),
        ("GlobalMaxPooling", ""),
        ("Cropping", ""),
        ("UpSampling", ""),
        ("ZeroPadding", ""),
    )
}
#: Refused with a reason of their own, whatever module they claim to come from.
REFUSED = {
    "Lambda": "runs Python code stored in the file",
    "__lambda__": "runs Python code stored in the file",
    "TFSMLayer": "loads another model from a folder",
    "StringLookup": "reads a vocabulary file",
    "IntegerLookup": "reads a vocabulary file",
    "TextVectorization": "reads a vocabulary file",
    "TorchModuleWrapper": "unpickles Python objects",
    "JaxLayer": "runs Python code named in the file",
    "FlaxLayer": "runs Python code named in the file",
}
ACTIVATIONS = frozenset(
    """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold""".split()  # noqa: SIM905
)
MODELS = {
    ("keras", "Sequential"),
    ("keras.models", "Sequential"),
    ("keras.src.models.sequential", "Sequential"),
    ("keras", "Functional"),
    ("keras.models", "Functional"),
    ("keras.src.models.functional", "Functional"),
}
#: Modules of which every public class is pure arithmetic, or a plain record of numbers.
WHOLE_MODULES = {
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.src.ops.numpy",
    "keras.src.ops.nn",
    "keras.src.ops.math",
    "keras.src.ops.image",
}
POLICIES = {"DTypePolicy", "FloatDTypePolicy"}
STOCK_EXTRAS = {("keras.src.applications.convnext", "LayerScale")}

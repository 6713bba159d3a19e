# CMU-MOSI as vectors of whole utterances, published with bc-LSTM, for research only; the class is
# a score of at least 0. 1447, 255 and 497 utterances, no video in two splits. Their authors learned
# the text and visual vectors with the labels of the train videos, so train looks easier than it is;
# the videos of val and test were not seen.
_base_ = '../loaders.py'
num_classes = 2
widths = dict(text=100, audio=73, visual=100)
data = dict(  # shared by the three loaders
    type='Manifest',
    root='data/mosi_features/mosi_features.npz',
    modalities=['text', 'audio', 'visual'],
)
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=128, num_workers=0)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=128)

"""Section 5.4.2: two apples and three oranges."""

from cnn_core.book.layer_naive import AddLayer, MulLayer

apple, apple_num, orange, orange_num, tax = 100, 2, 150, 3, 1.1

mul_apple_layer = MulLayer()
mul_orange_layer = MulLayer()
add_apple_orange_layer = AddLayer()
mul_tax_layer = MulLayer()

apple_price = mul_apple_layer.forward(apple, apple_num)
orange_price = mul_orange_layer.forward(orange, orange_num)
all_price = add_apple_orange_layer.forward(apple_price, orange_price)
price = mul_tax_layer.forward(all_price, tax)

dall_price, dtax = mul_tax_layer.backward(1)
dapple_price, dorange_price = add_apple_orange_layer.backward(dall_price)
dorange, dorange_num = mul_orange_layer.backward(dorange_price)
dapple, dapple_num = mul_apple_layer.backward(dapple_price)

print("price:", int(price))  # 715
print(f"dApple_num: {dapple_num:.0f}, dApple: {dapple:.1f}")  # 110, 2.2
print(f"dOrange: {dorange:.1f}, dOrange_num: {dorange_num:.0f}, dTax: {dtax}")  # 3.3, 165, 650
